"""Tell somebody about a workspace's health by webhook or mail: sentences and numbers, never uris."""
