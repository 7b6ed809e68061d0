"""Checks and writes what watches the queue in Azure: queries, workbook, alerts, runbooks."""
