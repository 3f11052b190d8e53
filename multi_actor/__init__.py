"""AI agents as Dapr virtual actors, with or without a sidecar."""
