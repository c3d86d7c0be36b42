#!/bin/bash
# The answers of the instance metadata service travel one hop by default, and a container is two away: without this the AWS SDK
# finds no credentials there. Needs ec2:ModifyInstanceMetadataOptions; without it only log shipping to Firehose fails.
set -euo pipefail

imds=http://169.254.169.254/latest
token=$(curl -sf --max-time 5 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$imds/api/token")
metadata() {
  curl -sf --max-time 5 -H "X-aws-ec2-metadata-token: $token" "$imds/meta-data/$1"
}

instance=$(metadata instance-id)
region=$(metadata placement/region)
if ! aws ec2 modify-instance-metadata-options --region "$region" --instance-id "$instance" \
  --http-endpoint enabled --http-tokens required --http-put-response-hop-limit 2 >/dev/null; then
  echo 'The hop limit of the metadata service stays as it is: allow ec2:ModifyInstanceMetadataOptions.' >&2
fi
