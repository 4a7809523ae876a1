"""Reading a training log: terminal text -> lines -> bars, counters and stages -> what the job is doing. Pure."""
