"""How the queue takes a burst in Azure: a simulation and its picture."""
