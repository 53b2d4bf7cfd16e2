"""What outlives the daemon, in the state folder. One store, one file. May import `model` and `base`."""
