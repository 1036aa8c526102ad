#!/bin/sh
# private-dev.sh FOLDER PROGRAM...: runs PROGRAM with a /dev of its own, in which LISTENER prints what is sent to /dev/log.
# To be run in a mount namespace of its own (unshare -m); needs $LISTENER, a Python program that takes the socket's path.
set -e
dev=$1/dev
shift
mkdir "$dev"
mount -t tmpfs none "$dev"
mkdir "$dev/net"
for file in null zero urandom random net/tun; do
  touch "$dev/$file"
  mount --bind "/dev/$file" "$dev/$file"
done
mount --rbind "$dev" /dev
python3 -c "$LISTENER" /dev/log &
listener=$!
while [ ! -S /dev/log ]; do sleep 0.05; done
trap 'kill $listener' EXIT
"$@" &
program=$!
trap 'kill $program' TERM
wait $program || wait $program
sleep 0.2
