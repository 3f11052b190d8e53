"""Starting it as users do: as a process."""
