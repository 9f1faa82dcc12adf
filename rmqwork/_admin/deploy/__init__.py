"""Kubernetes objects from an app's manifest: values, and their YAML.

Nothing here talks to a cluster.
"""
