#!/bin/sh
# Print the path of a Chromium for the tests of the page, installing Debian's where that is allowed (as root).
# Without one it prints nothing and says so: then the browser tests are skipped. With CI=true that is an error.
set -u

find_browser() {
    for name in "${CHROMIUM:-}" chromium google-chrome google-chrome-stable chromium-browser \
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"; do
        # A name alone proves nothing: Ubuntu's chromium-browser is a stub that asks for a snap.
        if [ -n "$name" ] && "$name" --version >/dev/null 2>&1; then
            command -v "$name"
            return 0
        fi
    done
    return 1
}

find_browser && exit 0

if [ "$(id -u)" -eq 0 ] && [ -e /etc/debian_version ]; then
    echo "==> Installing Chromium for the tests of the page" >&2
    {
        apt-get update -qq &&
            DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-liberation
    } </dev/null >&2 && find_browser && exit 0
fi

echo "The browser part of the tests does NOT run: no Chromium or Chrome was found." >&2
echo "Install one (Debian, as root: apt-get install chromium), or set CHROMIUM=/path/to/chrome." >&2
[ "${CI:-}" != true ]
