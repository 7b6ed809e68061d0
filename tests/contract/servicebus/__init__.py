"""What a Service Bus client may rely on, asked of the emulator through the unmodified azure-servicebus SDK."""
