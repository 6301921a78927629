#!/usr/bin/env bash
# First process of the node's namespaces: private folders where daemons insist on fixed paths, then reap forever.
# Usage: node-init.sh STATE_FOLDER NODE_NAME
set -eu
state=$1
# The new mounts must reach the pods' own mount namespaces, and never the host's.
mount --make-rprivate /
mount --make-rshared /
mkdir -p /var/lib/cni /var/lib/kubelet /var/log/containers
mount -t tmpfs -o mode=755 tmpfs /run
for folder in /var/lib/cni /var/lib/kubelet /var/log/containers; do
  mount -t tmpfs -o mode=755 tmpfs "$folder"
done
mount -t tmpfs -o mode=700 tmpfs "$state/etcd"
mkdir -p /run/lock /run/containerd /run/cni-ipam
ip link set lo up
hostname "$2"
echo 1 > /proc/sys/net/ipv4/ip_forward
echo 0 > /proc/sys/net/ipv4/conf/all/rp_filter
# Without the bridge module the file is missing and Service addresses do not work between pods of this node.
echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables
ip link add cni0 type bridge
ip addr add 10.97.0.1/16 dev cni0
ip link set cni0 up
touch "$state/init.ready"
while :; do sleep 3600 & wait $! || true; done
