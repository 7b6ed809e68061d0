#!/usr/bin/env bash
# Try the deployed app out: probes, one job from submission to result, live updates, the page. Needs Python, az and:
#   API_URL, WEBSITE_URL, AZURE_RESOURCE_GROUP, AZURE_FUNCTION_APP_NAME (outputs of main.bicep)
set -euo pipefail
: "${API_URL:?is not set: run this by azd, or take it from the outputs of the deployment}"
: "${WEBSITE_URL:?is not set}" "${AZURE_RESOURCE_GROUP:?is not set}" "${AZURE_FUNCTION_APP_NAME:?is not set}"

key="$(az functionapp keys list --resource-group "$AZURE_RESOURCE_GROUP" --name "$AZURE_FUNCTION_APP_NAME" \
    --query functionKeys.default --output tsv --only-show-errors)"
DTQ_KEY="$key" python3 "$(dirname "${BASH_SOURCE[0]}")/../../tools/smoke.py" --api "$API_URL" --page "$WEBSITE_URL"
