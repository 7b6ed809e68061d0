#!/usr/bin/env bash
# Build the page, tell it where the API is, and upload it to the static website. Needs Node, az and:
#   API_URL, WEBSITE_URL, WEBSITE_STORAGE_ACCOUNT (outputs of main.bicep)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../static-ui"
: "${API_URL:?is not set: run this by azd, or take it from the outputs of the deployment}"
: "${WEBSITE_URL:?is not set}" "${WEBSITE_STORAGE_ACCOUNT:?is not set}"

# Not into dist/, which the local stack serves: its page speaks to the local API.
built="$(mktemp -d)"
trap 'rm -rf "$built"' EXIT
npm ci --no-audit --no-fund --loglevel=error
npm run build --silent -- --outDir "$built" --emptyOutDir
printf '{"apiBase": "%s"}\n' "$API_URL" > "$built/config.json"

upload() { # pattern, cache control
    az storage blob upload-batch --account-name "$WEBSITE_STORAGE_ACCOUNT" --auth-mode login --only-show-errors \
        --source "$built" --destination '$web' --overwrite --pattern "$1" --content-cache-control "$2" --output none
}

# The right to upload was given a moment ago, and can take minutes to be known everywhere.
for attempt in {1..20}; do
    # Names in assets/ hold a hash of the content; what points to them is asked for anew.
    if upload 'assets/*' 'public, max-age=31536000, immutable'; then
        break
    fi
    if [ "$attempt" = 20 ]; then
        echo "The page cannot be uploaded. Does whoever runs this have Storage Blob Data Contributor on" \
            "$WEBSITE_STORAGE_ACCOUNT? The parameter principalId of main.bicep gives it." >&2
        exit 1
    fi
    echo "Waiting for the right to upload (attempt $attempt of 20)"
    sleep 15
done
for file in "$built"/*; do
    if [ -f "$file" ]; then
        upload "$(basename "$file")" 'no-cache'
    fi
done
echo "The page is at $WEBSITE_URL"
