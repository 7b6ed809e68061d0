#!/usr/bin/env bash
# What azd runs once the app's code is there. The outputs of main.bicep are in the environment.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"

"$here/publish_page.sh"
"$here/smoke.sh"
