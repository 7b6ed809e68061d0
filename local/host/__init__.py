"""A local Azure Functions host: runs any Python v2 function app without Core Tools."""
