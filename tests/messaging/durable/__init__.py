"""What outlives a process: agents on an actor host."""
