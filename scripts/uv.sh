# Puts uv on the PATH of the shell that sources this: `. scripts/uv.sh`.
# Where uv is missing it is installed from the Python package index into .uv/ in this checkout,
# so that neither the system's Python nor the user's home is touched.
if ! command -v uv >/dev/null 2>&1; then
  if [ ! -x .uv/bin/uv ]; then
    echo "uv is not installed: bringing it into .uv/" >&2
    python3 -m venv .uv >/dev/null 2>&1 && .uv/bin/python -m pip install --quiet uv ||
      { rm -rf .uv && python3 -m pip install --quiet --target .uv uv; }
  fi
  PATH="$PWD/.uv/bin:$PATH"
  export PATH
fi
