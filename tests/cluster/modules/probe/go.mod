module trainingrun.dev/tests/cluster/probe

go 1.22
