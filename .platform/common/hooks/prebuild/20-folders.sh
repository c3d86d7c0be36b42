#!/bin/bash
# Folders that containers write to, as user 1000 (`node` in the images): the spool of log lines, and what the health agent reads.
set -euo pipefail

owner=1000:1000
mkdir -p /var/lib/rollcall/spool /var/log/nginx/healthd
chown "$owner" /var/lib/rollcall/spool /var/log/nginx/healthd
chmod 0700 /var/lib/rollcall/spool
chmod 0755 /var/log/nginx/healthd
