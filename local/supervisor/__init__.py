"""The supervisor: starts every local service side by side, keeps them running and stops them in order."""
