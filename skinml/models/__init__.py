"""The architectures, their ONNX export, and the registry of fitted versions."""
