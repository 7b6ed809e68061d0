"""The real worker as judge: Microsoft's own Python worker library loads and runs what our host loads and runs."""
