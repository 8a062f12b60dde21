#!/usr/bin/env bash
# `make demo`: index the sample archive, show what came of it, search it.
set -uo pipefail
cd "$(dirname "$0")/.."
nightscribe=.venv/bin/nightscribe
export NIGHTSCRIBE_LAKE=${NIGHTSCRIBE_LAKE:-data/lake}
export NIGHTSCRIBE_MODELS=${NIGHTSCRIBE_MODELS:-demo-all}
all=$([ "$NIGHTSCRIBE_MODELS" = demo-all ] && echo yes)
[ -z "$all" ] || export NIGHTSCRIBE_SCREEN_LINES__READER=${NIGHTSCRIBE_SCREEN_LINES__READER:-rapidocr}

echo "Indexing data/bucket (ten short videos) into $NIGHTSCRIBE_LAKE"
"$nightscribe" index data/bucket
code=$?
[ $code -le 1 ] || exit $code

echo
"$nightscribe" sql "
    SELECT v.key AS video, v.status, coalesce(v.reason, '') AS note,
           format('{}:{:02d}', v.duration_ms // 60000, v.duration_ms // 1000 % 60) AS length, v.n_words AS words,
           coalesce((SELECT string_agg(label || ' ' || round(100 * score)::INT || '%', ', ' ORDER BY rank)
                     FROM topics t WHERE t.video_id = v.video_id AND scope = 'video' AND rank <= 2 AND score >= 0.1), '') AS topics
    FROM videos v ORDER BY v.key" || exit

for query in "central bank" "prime minister" "the software"; do
    echo
    echo "\$ nightscribe search \"$query\""
    "$nightscribe" search "$query" --limit 2 --moments 2 || exit
done

if [ -n "$all" ]; then
    echo
    echo "\$ nightscribe search --in screen \"three leaders\""
    "$nightscribe" search --in screen "three leaders" --limit 2 --moments 1 || exit
    echo
    echo "\$ nightscribe search --picture \"a red circle\""
    "$nightscribe" search --picture "a red circle" --limit 2 --moments 1 || exit
    echo
    echo "\$ nightscribe search --sound \"a crow\""
    "$nightscribe" search --sound "a crow" --limit 2 --moments 1 || exit
fi

cat <<'TEXT'

What next (each with --help):
  .venv/bin/nightscribe serve                   see all of this in the browser (what is seen and heard, with NIGHTSCRIBE_MODELS=demo-all)
  .venv/bin/nightscribe index ~/your/videos     index your own
  .venv/bin/nightscribe search --phrase radio station
  .venv/bin/nightscribe subtitles --out subtitles
  .venv/bin/nightscribe sql "SELECT word, count(*) AS n FROM words GROUP BY ALL ORDER BY n DESC LIMIT 10"
  .venv/bin/nightscribe status
TEXT

# Only a person at a terminal is asked.
if [ -t 0 ] && [ -t 1 ] && [ "${CI:-}" != true ]; then
    printf '\nOpen the archive in the browser now? [Y/n] '
    read -r answer || answer=n
    case $answer in [nN]*) ;; *) exec "$nightscribe" serve ;; esac
fi
