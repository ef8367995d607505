"""The life of a workspace's data: forgetting people, dropping what is old, compacting, exporting."""
