"""The rules that hold whatever happens, each checked from its own small table and not with the operator's code."""
