#!/bin/bash
# Installs the service that ends the containers in order before the instance is terminated.
set -euo pipefail

source=.platform/instance
install -m 0755 "$source/rollcall-termination.sh" /usr/local/sbin/rollcall-termination
install -m 0644 "$source/rollcall-termination.service" /etc/systemd/system/rollcall-termination.service
systemctl daemon-reload
systemctl enable rollcall-termination.service
systemctl restart rollcall-termination.service
