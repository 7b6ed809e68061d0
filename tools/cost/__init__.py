"""What the queue costs a month in Azure, reckoned from operations that a test counts and from list prices."""
