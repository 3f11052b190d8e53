"""Programs that use the messaging layer: `python -m examples.messages`, and so on."""
