#!/usr/bin/env bash
# Installs the servers that `make bench` compares with: the PyPI package "netconf" in an environment of its own, and, as
# root on Debian or Ubuntu, Yuma123's netconfd with OpenSSH's sshd (neither is started, nor any setting changed).
set -euo pipefail
cd "$(dirname "$0")"
python=${PYTHON:-python3}
if [ ! -x .venv/bin/python ]; then "$python" -m venv .venv; fi
# paramiko 4 has no DSS keys any more, which the package imports (docs/decisions/001).
.venv/bin/python -m pip install --quiet --disable-pip-version-check 'netconf==2.1.0' 'paramiko<4'
if command -v netconfd >/dev/null && [ -x /usr/sbin/sshd ]; then exit 0; fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  # No service is to be started by the installation of openssh-server: the bench runs a daemon of its own.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e $policy ]; then printf '#!/bin/sh\nexit 101\n' >$policy; chmod +x $policy; trap 'rm -f $policy' EXIT; fi
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends netconfd openssh-server >/dev/null ||
    echo "netconfd is not in this system's packages: the bench goes without it"
else
  echo "Yuma123 needs: apt-get install netconfd openssh-server (as root); the bench goes without it until then"
fi
