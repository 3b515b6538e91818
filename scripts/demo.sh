#!/usr/bin/env bash
# Starts a node with its defaults, publishes a moving, talking picture to it, shows a product over it and prints the pages that
# play it and that change what is shown. Ctrl-C ends all of it.
set -euo pipefail
cd "$(dirname "$0")/.."

pids=()
stop() {
  trap - EXIT INT TERM
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  rm -f "$speech"
  [ -z "$scratch" ] || rm -rf "$scratch"
  echo "demo: all stopped"
}
speech=$(mktemp --suffix=.wav)
scratch=
trap stop EXIT
trap 'exit 0' INT TERM

rtmp=${PUSHCART_RTMP_ADDRESS:-:1935}
http=${PUSHCART_HTTP_ADDRESS:-:8080}
page="http://localhost:${http##*:}"

# What the node keeps goes with the demo, unless it is told where to stay.
if [ -z "${PUSHCART_DATA_DIRECTORY:-}" ]; then
  scratch=$(mktemp -d)
  export PUSHCART_DATA_DIRECTORY=$scratch
fi
url=
if [ -z "${PUSHCART_CARDS_HOSTS+set}" ]; then
  export PUSHCART_CARDS_HOSTS=shop.example.com
  url='"url": "https://shop.example.com/lamp",'
fi
# Smaller renditions for slow networks, to choose from in the page's menu.
if [ -z "${PUSHCART_LADDER_STREAMS+set}" ] && [ -z "${PUSHCART_LADDER_LADDERS+set}" ]; then
  export PUSHCART_LADDER_LADDERS='[{name: mobile, rungs: [480p 900k, 240p 350k]}]' PUSHCART_LADDER_STREAMS='*=mobile'
fi

bin/pushcart serve &
node=$!
pids+=("$node")
for _ in $(seq 100); do
  bin/pushcart health >/dev/null 2>&1 && break
  kill -0 "$node" 2>/dev/null || { echo "demo: the node did not start; what it said is above" >&2; exit 1; }
  read -rt 0.1 <> <(:) || true
done

# The voice is ffmpeg's own synthesiser where it has one, and a melody where not.
text="Welcome to the show. This is Pushcart, live. The picture that you see left this machine about a second ago. Look at the clock, and then at the latency below."
if ffmpeg -hide_banner -loglevel error -y -f lavfi -i "flite=text='$text':voice=slt" -af "apad=pad_dur=1.5" -ar 48000 "$speech" 2>/dev/null; then
  audio=(-stream_loop -1 -i "$speech")
else
  audio=(-f lavfi -i "sine=frequency=330:beep_factor=4:sample_rate=48000")
fi
# Ctrl-C reaches this script alone: ffmpeg is ended by it, without complaints about its lost connection.
(trap '' INT; exec ffmpeg -hide_banner -loglevel error -nostdin \
  -re -f lavfi -i "testsrc2=size=1280x720:rate=30" -re "${audio[@]}" \
  -map 0:v -map 1:a \
  -vf "drawtext=font=DejaVu Sans Mono:text='%{localtime\:%T}':fontsize=72:fontcolor=white:box=1:boxcolor=black@0.6:boxborderw=18:x=(w-tw)/2:y=h-160" \
  -c:v libx264 -preset veryfast -tune zerolatency -profile:v high -pix_fmt yuv420p -b:v 2500k -maxrate 2500k -bufsize 2500k -g 60 -keyint_min 60 -sc_threshold 0 \
  -c:a aac -b:a 128k -ar 48000 -ac 2 \
  -f flv "rtmp://127.0.0.1:${rtmp##*:}/live/demo") &
pids+=("$!")

# Two products, one of which is shown at once: the sale ends in a quarter of an hour.
card() {
  bin/pushcart card --url "http://127.0.0.1:${http##*:}" --stream demo "$@" >/dev/null || echo "demo: goes on without this product" >&2
}
card put - <<JSON
{"id": "lamp", "name": {"en": "Desk lamp", "de": "Schreibtischlampe", "ar": "مصباح مكتب"}, $url "brand": "Lumen",
 "offers": [{"price": "19.99", "priceCurrency": "EUR", "availability": "LimitedAvailability", "inventoryLevel": 12, "pushcart:priorPrice": "29.99"}],
 "pushcart:promotion": {"label": {"en": "Flash sale", "de": "Blitzangebot"}, "endsAt": "$(date -u -d '+15 minutes' +%Y-%m-%dT%H:%M:%SZ)"}}
JSON
card put - <<'JSON'
{"id": "mug", "name": {"en": "Mug", "de": "Becher"}, "offers": [{"price": "8.50", "priceCurrency": "EUR"}],
 "pushcart:coupon": {"code": "TEA10", "label": {"en": "10 % off", "de": "10 % Rabatt"}}}
JSON
card show lamp

# A token from the configuration is known to whoever wrote that.
studio="$page/studio/demo"
token=$PUSHCART_DATA_DIRECTORY/operator.token
[ ! -r "$token" ] || studio="$studio#token=$(<"$token")"

cat <<TEXT

  ------------------------------------------------------------
   The show is on:   $page/watch/demo
   Its studio:       $studio
   All streams:      $page/
   Go live yourself: $page/publish/demo2  from this browser,
                     or rtmp://localhost:${rtmp##*:}/live  with the stream key  demo2
   Ctrl-C ends the demo.
  ------------------------------------------------------------

TEXT
wait -n "${pids[@]}" || true
echo "demo: a part of it ended" >&2
exit 1
