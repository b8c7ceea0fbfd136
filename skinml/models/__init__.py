"""Model versions: architectures, ONNX export, bundles and the registry."""
