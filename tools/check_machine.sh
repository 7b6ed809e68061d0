#!/bin/sh
# Check, before anything is installed, that this machine has what the set-up needs.
# Prints the Python to use on stdout; names everything that is missing, with the fix, on stderr and exits 1.
# PYTHON=/path/to/python chooses another one.
set -u
missing=0

complain() {
    missing=1
    printf '  missing: %s\n      fix: %s\n' "$1" "$2" >&2
}

recent_python() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

python=""
for candidate in "${PYTHON:-}" python3 python3.11 python3.12 python3.13; do
    if [ -n "$candidate" ] && recent_python "$candidate"; then
        python=$(command -v "$candidate")
        break
    fi
done
if [ -z "$python" ]; then
    complain "Python 3.11 or newer (found: $(python3 --version 2>/dev/null || echo none))" \
        "Debian, Ubuntu: apt-get install python3 python3-venv; macOS: brew install python@3.13; or set PYTHON=/path/to/python3"
elif ! "$python" -c 'import venv, ensurepip' >/dev/null 2>&1; then
    complain "the venv module of $python" "Debian, Ubuntu: apt-get install python3-venv"
fi

# Vite, which builds the page, sets this bound.
if ! node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' >/dev/null 2>&1; then
    complain "Node.js 20.19 or newer (found: $(node --version 2>/dev/null || echo none))" \
        "https://nodejs.org/en/download, or: nvm install 22; macOS: brew install node"
fi
if ! npm --version >/dev/null 2>&1; then
    complain "npm" "it comes with Node.js; Debian, Ubuntu: apt-get install npm"
fi

if [ "$missing" -ne 0 ]; then
    echo "Nothing was installed. Put this right and run the same command again. No C compiler is needed." >&2
    exit 1
fi
echo "$python"
