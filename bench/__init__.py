"""`make bench`: how fast the queue is on this machine, and where the time goes."""
