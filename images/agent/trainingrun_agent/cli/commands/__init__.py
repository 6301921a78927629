"""One module for each command, with its summary, arguments, exit codes and run (cli/command.py)."""
