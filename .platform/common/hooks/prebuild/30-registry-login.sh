#!/bin/bash
# Logs Docker in at the private registries (Amazon ECR) that the compose file names, with the instance's role.
set -euo pipefail

registries=$(grep -oE '[0-9]{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?' docker-compose.yml | sort -u || true)
for registry in $registries; do
  region=$(cut -d. -f4 <<<"$registry")
  aws ecr get-login-password --region "$region" |
    docker login --username AWS --password-stdin "$registry"
done
