module trainingrun.dev/tests/cluster/pause

go 1.22
