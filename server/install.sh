#!/bin/sh
# Makes .venv at the root: the project's Python packages, pip's Triton, perf_analyzer, and the system
# libraries that they need.
# Run from the root, by `make setup`; needs python3 (3.11 or 3.12) with venv.
set -eu

# NumPy 1.26, which pip's Triton needs, has no wheels for later ones.
python3 -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' || {
    echo "python3 is $(python3 -V), which this cannot be set up with: put a Python 3.11 or 3.12 first on PATH" >&2
    exit 1
}

python3 -m venv --upgrade-deps .venv
.venv/bin/python -m pip install --quiet --progress-bar on "pip>=25.1"  # the first with dependency groups

# The torch that PyPI serves for Linux carries CUDA, in gigabytes. Where PyTorch's own index can be reached, this is smaller:
#   PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu make setup
.venv/bin/python -m pip install --progress-bar on --quiet \
    --group export --group bench --group test --editable ./core --editable ./client

# Only for its tritonserver binary; its Python decorators, and what they depend on, are not used.
.venv/bin/python -m pip install --quiet --no-deps nvidia-pytriton==0.7.0

# The Python backend's stub links libpython, which some Pythons come without.
stub=$(.venv/bin/python -c 'import sys, importlib.util as u; from pathlib import Path
p = Path(u.find_spec("pytriton").submodule_search_locations[0])
print(p / "tritonserver/python_backend_stubs" / "{}.{}".format(*sys.version_info) / "triton_python_backend_stub")')
libdir=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_config_var("LIBDIR"))')
if [ "$(id -u)" = 0 ]; then sudo=""; else sudo="sudo"; fi
if LD_LIBRARY_PATH="$libdir" ldd "$stub" | grep -q "libpython.*not found"; then
    version=$(.venv/bin/python -c 'import sys; print("{}.{}".format(*sys.version_info))')
    echo "installing libpython$version"
    $sudo apt-get update -qq && $sudo apt-get install -y -qq "libpython$version"
fi

# perf_analyzer, which loads the server for the speed tables, comes in the wheel of an old client. Only that binary is
# taken out of it; it asks for a libcudart, GPU or not, which pip's Triton brings.
loader=.venv/perf_analyzer
if [ ! -x $loader/perf_analyzer ]; then
    mkdir -p $loader
    .venv/bin/python -m pip download --quiet --no-deps --dest $loader tritonclient==2.50.0
    .venv/bin/python - $loader <<'END'
import sys, zipfile
from pathlib import Path

folder = Path(sys.argv[1])
wheel = next(folder.glob("tritonclient-*.whl"))
with zipfile.ZipFile(wheel) as opened:
    binary = opened.read("tritonclient-2.50.0.data/data/bin/perf_analyzer")
(folder / "perf_analyzer").write_bytes(binary)
(folder / "perf_analyzer").chmod(0o755)
wheel.unlink()
END
fi
ln -sf "../$(cd .venv && ls lib/python3.*/site-packages/nvidia_pytriton.libs/libcudart-*.so.12*)" $loader/libcudart.so.12
if LD_LIBRARY_PATH=$loader ldd $loader/perf_analyzer | grep -q "libb64.*not found"; then
    # Beside the binary, not into the system: this needs no root. Only the speed tables miss it where it cannot be had.
    (
        cd $loader &&
            { apt-get download -qq libb64-0d || { $sudo apt-get update -qq && apt-get download -qq libb64-0d; }; } &&
            dpkg -x libb64-0d_*.deb unpacked &&
            mv unpacked/usr/lib/*/libb64.so.0d* . &&
            rm -r unpacked libb64-0d_*.deb
    ) || echo "libb64 could not be had: \`python -m benchmarks sweep\` will ask for it" >&2
fi

# A Prometheus, which runs the queries of server/monitoring in the tests. Its package would install a service; this only
# unpacks the two binaries.
loader=.venv/prometheus
if [ ! -x $loader/promtool ]; then
    mkdir -p $loader
    (
        cd $loader &&
            { apt-get download -qq prometheus || { $sudo apt-get update -qq && apt-get download -qq prometheus; }; } &&
            dpkg -x prometheus_*.deb unpacked &&
            mv unpacked/usr/bin/prometheus unpacked/usr/bin/promtool . &&
            rm -r unpacked prometheus_*.deb
    ) || echo "prometheus could not be had: tests of server/monitoring will ask for it" >&2
fi

# nginx, which ends TLS for HTTP. Where the system has none, its binary is unpacked beside the rest; no service starts.
if ! PATH="$PATH:/usr/sbin" command -v nginx > /dev/null && [ ! -x .venv/nginx/nginx ]; then
    mkdir -p .venv/nginx
    (
        cd .venv/nginx &&
            { apt-get download -qq nginx || { $sudo apt-get update -qq && apt-get download -qq nginx; }; } &&
            dpkg -x nginx_*.deb unpacked &&
            mv unpacked/usr/sbin/nginx nginx &&
            rm -r unpacked nginx_*.deb
    ) || echo "nginx could not be had: \`python -m server --tls-cert\` will ask for it" >&2
fi

touch .venv/ready
