#!/bin/bash
# Waits until Auto Scaling wants this instance terminated. Then the worker takes no more jobs and ends those under way, each
# container is stopped within its time, so that the log lines on this disk are handed over, and Auto Scaling may go on.
# It waits 180 seconds for that (.ebextensions/common/30-termination.config): 120 for jobs, 45 for the end.
set -euo pipefail

imds=http://169.254.169.254/latest
hook=rollcall-termination
drain_seconds=120
deregistration_seconds=45

metadata() {
  local token
  token=$(curl -sf --max-time 5 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$imds/api/token") || return 1
  curl -sf --max-time 5 -H "X-aws-ec2-metadata-token: $token" "$imds/meta-data/$1"
}

container() {
  docker ps --quiet --filter "label=com.docker.compose.service=$1" | head -n 1
}

# Not there (404) while the instance is not in an Auto Scaling group.
until [ "$(metadata autoscaling/target-lifecycle-state || true)" = Terminated ]; do
  sleep 5
done
echo 'The instance is to be terminated.'

worker=$(container worker)
if [ -n "$worker" ]; then
  docker kill --signal SIGUSR2 "$worker"
  deadline=$((SECONDS + drain_seconds))
  until curl -s --max-time 5 http://127.0.0.1:80/health/ready | grep -q '"jobs":"drained"'; do
    [ "$SECONDS" -ge "$deadline" ] && break
    sleep 2
  done
  # From here on the other instances get the messages of the queue.
  systemctl stop sqsd.service || true
  docker stop --time 40 "$worker"
fi

api=$(container api)
if [ -n "$api" ]; then
  # The load balancer finishes what it has sent here.
  sleep "$deregistration_seconds"
  docker stop --time 20 "$api"
fi

instance=$(metadata instance-id)
region=$(metadata placement/region)
group=$(aws autoscaling describe-auto-scaling-instances --region "$region" --instance-ids "$instance" \
  --query 'AutoScalingInstances[0].AutoScalingGroupName' --output text)
aws autoscaling complete-lifecycle-action --region "$region" --instance-id "$instance" \
  --auto-scaling-group-name "$group" --lifecycle-hook-name "$hook" --lifecycle-action-result CONTINUE
