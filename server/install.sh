#!/bin/sh
# Makes .venv at the root; `make setup` and `make test` run it from there. Needs python3 (3.11 or 3.12) with venv.
#   sh server/install.sh         what serving, exporting, documents and feedback need: Python packages, pip's Triton,
#                                nginx, jemalloc
#   sh server/install.sh test    what training, tests and benchmarks need besides: packages and programs
# Versions come from requirements.lock; indexes, certificates and proxies from pip's own settings.
set -eu

if [ "$(id -u)" = 0 ]; then sudo=""; else sudo="sudo"; fi
pip_install() { .venv/bin/python -m pip install --quiet --progress-bar on --constraint requirements.lock "$@"; }

# answers URL: whether it does within 3 seconds.
answers() {
    timeout 3 .venv/bin/python -c 'import os, ssl, sys, urllib.request
context = ssl.create_default_context(cafile=os.environ.get("PIP_CERT"))
urllib.request.urlopen(sys.argv[1], context=context)' "$1" 2> /dev/null
}

# unpack PACKAGE FOLDER FILE...: take files out of a Debian package, into FOLDER. Nothing is installed or started.
unpack() (
    package=$1 folder=$2
    shift 2
    mkdir -p "$folder"
    cd "$folder"
    apt-get download -qq "$package" || { $sudo apt-get update -qq && apt-get download -qq "$package"; } || exit 1
    dpkg -x "$package"_*.deb unpacked && mv $(printf 'unpacked/%s ' "$@") . && rm -r unpacked "$package"_*.deb
)

setup_serve() {
    # NumPy 1.26, which pip's Triton needs, has no wheels for later ones.
    python3 -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' || {
        echo "python3 is $(python3 -V), which this cannot be set up with: put a Python 3.11 or 3.12 first on PATH" >&2
        exit 1
    }
    python3 -m venv --upgrade-deps .venv
    .venv/bin/python -m pip install --quiet --progress-bar on "pip>=25.1"  # the first with dependency groups

    # The torch that PyPI serves for Linux brings CUDA along, in gigabytes. Without an NVIDIA GPU it is taken from
    # PyTorch's index of CPU builds (or a mirror of it), if that answers; nothing else comes from there.
    cpu_builds=${MALGIL_TORCH_INDEX:-https://download.pytorch.org/whl/cpu}
    if [ -e /dev/nvidiactl ] || command -v nvidia-smi > /dev/null; then
        echo "there is an NVIDIA GPU: torch comes with CUDA"
    elif answers "$cpu_builds/torch/"; then
        pip_install --no-deps --extra-index-url "$cpu_builds" "$(grep '^torch==' requirements.lock)"
    else
        echo "$cpu_builds does not answer within 3 s: torch comes from where pip usually looks"
    fi
    pip_install --group serve --group export --group documents --group feedback --group console \
        --editable ./core --editable ./client --editable ./documents

    # Only for its tritonserver binary; its Python decorators, and what they depend on, are not used.
    pip_install --no-deps nvidia-pytriton==0.7.0

    # The Python backend's stub links libpython, which some Pythons come without.
    stub=$(.venv/bin/python -c 'import sys, importlib.util as u; from pathlib import Path
p = Path(u.find_spec("pytriton").submodule_search_locations[0])
print(p / "tritonserver/python_backend_stubs" / "{}.{}".format(*sys.version_info) / "triton_python_backend_stub")')
    libdir=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_config_var("LIBDIR"))')
    if LD_LIBRARY_PATH="$libdir" ldd "$stub" | grep -q "libpython.*not found"; then
        version=$(.venv/bin/python -c 'import sys; print("{}.{}".format(*sys.version_info))')
        echo "installing libpython$version"
        $sudo apt-get update -qq && $sudo apt-get install -y -qq "libpython$version"
    fi

    # nginx, the proxy before Triton's HTTP, where the system has none.
    if ! PATH="$PATH:/usr/sbin" command -v nginx > /dev/null && [ ! -x .venv/nginx/nginx ]; then
        unpack nginx .venv/nginx usr/sbin/nginx ||
            echo "nginx could not be had: \`python -m server\` will ask for it" >&2
    fi

    # jemalloc, which Triton allocates memory with, where the system has none.
    if ! ldconfig -p 2> /dev/null | grep -q 'libjemalloc\.so\.2' && [ ! -e .venv/jemalloc/libjemalloc.so.2 ]; then
        unpack libjemalloc2 .venv/jemalloc "usr/lib/*/libjemalloc.so.2" ||
            echo "jemalloc could not be had: Triton will run with the system's allocator" >&2
    fi
    touch .venv/ready
}

setup_test() {
    pip_install --group train --group bench --group test

    # perf_analyzer, which loads the server for the speed tables, comes in the wheel of an old client. Only that binary
    # is taken out of it; it asks for a libcudart, GPU or not, which pip's Triton brings.
    folder=.venv/perf_analyzer
    if [ ! -x $folder/perf_analyzer ]; then
        mkdir -p $folder
        .venv/bin/python -m pip download --quiet --no-deps --dest $folder tritonclient==2.50.0
        .venv/bin/python -m zipfile -e $folder/tritonclient-2.50.0-*.whl $folder/unpacked
        mv $folder/unpacked/tritonclient-2.50.0.data/data/bin/perf_analyzer $folder
        chmod +x $folder/perf_analyzer
        rm -r $folder/unpacked $folder/tritonclient-2.50.0-*.whl
    fi
    cudart=$(cd .venv && ls lib/python3.*/site-packages/nvidia_pytriton.libs/libcudart-*.so.12*)
    ln -sfn "../$cudart" $folder/libcudart.so.12
    if LD_LIBRARY_PATH=$folder ldd $folder/perf_analyzer | grep -q "libb64.*not found"; then
        unpack libb64-0d $folder "usr/lib/*/libb64.so.0d*" ||
            echo "libb64 could not be had: \`python -m benchmarks sweep\` will ask for it" >&2
    fi

    # A Prometheus, which runs the queries of server/monitoring in the tests.
    if [ ! -x .venv/prometheus/promtool ]; then
        unpack prometheus .venv/prometheus usr/bin/prometheus usr/bin/promtool ||
            echo "prometheus could not be had: tests of server/monitoring will ask for it" >&2
    fi

    # A PostgreSQL, whose server the tests of store/ start in temporary folders.
    postgresql_runs || install_postgresql ||
        echo "PostgreSQL could not be had: the tests that need it are left out" >&2

    # A browser, a font with Hangul, and axe-core, for the tests of the console.
    command -v chromium > /dev/null || install_packages chromium ||
        echo "Chromium could not be had: the tests of the console in a browser are left out" >&2
    [ -n "$(find /usr/share/fonts ~/.fonts ~/.local/share/fonts -iname '*CJK*' 2> /dev/null | head -1)" ] ||
        install_packages fonts-noto-cjk ||
        echo "fonts-noto-cjk could not be had: pictures of the console may lack Hangul" >&2
    [ -e .venv/axe/axe.min.js ] || unpack_axe ||
        echo "axe-core could not be had: the console's accessibility is not checked" >&2
    touch .venv/ready-test
}

# install_packages PACKAGE...: Debian packages.
install_packages() {
    $sudo apt-get update -qq &&
        $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
}

# unpack_axe: axe-core's script, from the npm registry that npm is set to; npm itself is not needed.
unpack_axe() {
    registry=${npm_config_registry:-$(npm config get registry 2> /dev/null)}
    .venv/bin/python - "${registry:-https://registry.npmjs.org}" .venv/axe << 'END' 2> /dev/null
import base64, hashlib, io, os, ssl, sys, tarfile, urllib.request
from pathlib import Path

VERSION = "4.14.1"
SHA512 = "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="
registry, folder = sys.argv[1].rstrip("/"), Path(sys.argv[2])
context = ssl.create_default_context(cafile=os.environ.get("PIP_CERT"))
url = f"{registry}/axe-core/-/axe-core-{VERSION}.tgz"
content = urllib.request.urlopen(url, context=context, timeout=60).read()
if base64.b64encode(hashlib.sha512(content).digest()).decode() != SHA512:
    sys.exit(f"{url}: another content than expected")
with tarfile.open(fileobj=io.BytesIO(content)) as packed:
    script = packed.extractfile("package/axe.min.js").read()
folder.mkdir(exist_ok=True)
(folder / "axe.min.js").write_bytes(script)
END
}

# postgresql_runs: whether its programs are there, and find their libraries.
postgresql_runs() {
    for folder in /usr/lib/postgresql/*/bin .venv/postgresql/usr/lib/postgresql/*/bin; do
        "$folder/initdb" --version > /dev/null 2>&1 && "$folder/postgres" --version > /dev/null 2>&1 && return
    done
    return 1
}

install_postgresql() {
    $sudo apt-get update -qq || return 1
    package=$(apt-cache depends postgresql | sed -n 's/.*Depends: \(postgresql-[0-9]*\)$/\1/p' | head -1)
    [ -n "$package" ] || return 1
    unpack "$package" .venv/postgresql usr && postgresql_runs && return
    rm -rf .venv/postgresql
    # Without a cluster, which the package would make and start.
    conf=/etc/postgresql-common/createcluster.conf
    if [ ! -e $conf ]; then
        $sudo mkdir -p "${conf%/*}"
        echo "create_main_cluster = false" | $sudo tee $conf > /dev/null
    fi
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" && postgresql_runs
}

case ${1:-serve} in
serve) setup_serve ;;
test) setup_test ;;
*) echo "usage: sh server/install.sh [test]" >&2 && exit 2 ;;
esac
