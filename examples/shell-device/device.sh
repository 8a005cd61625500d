#!/bin/sh
# A device of nothing but sh, mosquitto_sub, mosquitto_pub, curl and coreutils, after docs/spec/mqtt.md and enrolment.md.
# It checks an image by the digest in the offer and believes its gateway for the rest.
#
#   device.sh enrol DIR BUNDLE TYPE MODEL HARDWARE
#   device.sh run DIR [force|self] [SECONDS]      force waits to be told; self asks so often (5 s)
#
# A verified image lies in DIR/image; DIR/install, when there is one, is run with it and decides by its exit status.
set -eu
umask 077

fail() { echo "device.sh: $*" >&2; exit 1; }
kept() { cat "$dir/$1" 2>/dev/null || true; }

# Replaced as a whole: after a power cut the old value or the new one is there.
keep() { printf '%s' "$2" >"$dir/$1.new" && sync "$dir/$1.new" && mv "$dir/$1.new" "$dir/$1"; }

# Payloads are flat JSON objects on one line: text KEY and number KEY read them from stdin.
text() { sed -n 's/.*"'"$1"'":"\([^"\\]*\)".*/\1/p'; }
number() { sed -n 's/.*"'"$1"'":\([0-9]*\)[,}].*/\1/p'; }
hex() { case $1 in *[!0-9a-f]*) fail "not hexadecimal: $1" ;; esac; [ ${#1} -eq "$2" ] || fail "not $2 digits: $1"; }

enrol() {
  dir=$1 type=$3 model=$4 hardware=$5
  case $2 in 'firmament-enrol:1?'*) ;; *) fail 'not an enrolment bundle' ;; esac
  query=$(printf '%s' "${2#*\?}" | sed 's/%3A/:/g; s/%5B/[/g; s/%5D/]/g')
  of() { printf '%s' "$query" | tr '&' '\n' | sed -n "s/^$1=//p"; }
  gateway=$(of g) code=$(of c) root=$(of r)
  hex "$root" 64
  mkdir -p "$dir"
  # The server shows its root; nothing of ours is sent before its hash is the one in the bundle.
  curl -sk --max-time 20 -o /dev/null -w '%{certs}' "https://$gateway/v1/time" |
    awk '/BEGIN CERTIFICATE/ { pem = ""; on = 1 } on { pem = pem $0 "\n" } /END CERTIFICATE/ { on = 0 } END { printf "%s", pem }' >"$dir/root.pem"
  shown=$(sed '/-----/d' "$dir/root.pem" | base64 -d | sha256sum | cut -c1-64)
  [ "$shown" = "$root" ] || fail 'another root than the bundle names'
  answer=$(printf '{"code":"%s","tier":"psk","type":"%s","model":"%s","hardware":"%s"}' "$code" "$type" "$model" "$hardware" |
    curl -sS --fail-with-body --max-time 20 --cacert "$dir/root.pem" -H 'content-type: application/json' --data-binary @- \
      "https://$gateway/v1/enrolments") || fail "refused: $answer"
  device=$(printf '%s' "$answer" | text device) psk=$(printf '%s' "$answer" | text psk)
  hex "$device" 32
  hex "$psk" 64
  for name in device type model hardware; do eval "keep $name \"\$$name\""; done
  keep https "$(printf '%s' "$answer" | text https)"
  mqtt=$(printf '%s' "$answer" | text mqtt)
  # Options in a file: arguments can be seen by every process of the machine.
  mkdir -p "$dir/options"
  for tool in mosquitto_sub mosquitto_pub; do
    printf '%s\n' "--psk $psk" "--psk-identity $device" "-h ${mqtt%:*}" "-p ${mqtt##*:}" '-V mqttv311' '-q 1' >"$dir/options/$tool"
  done
  echo "$device"
}

say() { # channel, payload; an answer that is lost is given again when the offer comes again
  printf '%s' "$2" | XDG_CONFIG_HOME=$dir/options mosquitto_pub -t "firmament/v1/$device/$1" -s || true
}

hello() {
  printf '{"type":"%s","model":"%s","hardware":"%s","digest":"%s","sequence":"%s","version":"%s","sha256":"%s"}' \
    "$(kept type)" "$(kept model)" "$(kept hardware)" "$(kept digest)" "$(kept sequence | grep . || echo 0)" "$(kept version)" "$(kept sha256)"
}

status() { # state, detail, done
  say status "$(printf '{"offer":"%s","state":"%s","detail":"%s","done":%s,"total":%s}' "$offer" "$1" "$2" "$3" "$size")"
}

bytes() { stat -c %s "$dir/part" 2>/dev/null || echo 0; }

follow() { # an offer
  of() { printf '%s' "$1" | "$2" "$3"; }
  offer=$(of "$1" text offer) digest=$(of "$1" text digest) sha256=$(of "$1" text sha256)
  size=$(of "$1" number size) path=$(of "$1" text image)
  hex "$offer" 32
  hex "$digest" 64
  hex "$sha256" 64
  if [ "$digest" = "$(kept digest)" ]; then status installed 'it runs it' "$size"; return; fi
  status accepted '' 0
  # What another image left behind is no part of this one.
  [ "$(kept fetching)" = "$sha256" ] || { rm -f "$dir/part"; keep fetching "$sha256"; }
  if [ "$(bytes)" -ne "$size" ] && ! curl -sS --fail --max-time 3600 --max-filesize "$size" --cacert "$dir/root.pem" -C - -o "$dir/part" "https://$(kept https)$path"; then
    [ "$(bytes)" -le "$size" ] || rm -f "$dir/part"
    status postponed 'NET_UNREACHABLE' 0
    return
  fi
  if [ "$(sha256sum "$dir/part" | cut -c1-64)" != "$sha256" ]; then
    rm -f "$dir/part"
    status refused 'DEVICE_DOWNLOAD_MISMATCH' 0
    return
  fi
  status installing '' "$size"
  sync "$dir/part"
  if [ -x "$dir/install" ] && ! "$dir/install" "$dir/part"; then
    status rolled-back 'DEVICE_TRIAL_FAILED' "$size"
    return
  fi
  mv "$dir/part" "$dir/image"
  keep sequence "$(of "$1" text sequence)"
  keep version "$(of "$1" text version)"
  keep sha256 "$sha256"
  keep digest "$digest"
  # What it runs now goes first: an answer alone does not say it.
  say hello "$(hello)"
  status installed '' "$size"
}

run() {
  dir=$1 mode=${2:-force} every=${3:-5}
  device=$(kept device)
  [ -n "$device" ] || fail 'not enrolled'
  [ "$mode" = self ] && greeting=ask || { greeting=hello every=${3:-3600}; }
  # A device has one session at a time: what is said and what is heard take turns.
  while :; do
    say "$greeting" "$(hello)"
    line=$(XDG_CONFIG_HOME=$dir/options mosquitto_sub -t "firmament/v1/$device/offer" -C 1 -W "$every" | head -c 8192) || true
    [ -z "$line" ] || follow "$line"
    sleep 1
  done
}

case ${1:-} in
  enrol) [ $# -eq 6 ] || fail 'enrol DIR BUNDLE TYPE MODEL HARDWARE'; shift; enrol "$@" ;;
  run) [ $# -ge 2 ] || fail 'run DIR [force|self] [SECONDS]'; shift; run "$@" ;;
  *) fail 'enrol or run' ;;
esac
