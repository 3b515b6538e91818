#!/usr/bin/env bash
# Looks for known vulnerabilities in what the program calls, with govulncheck.
#
# GOVULNDB is another database than https://vuln.go.dev: a mirror, or file:///FOLDER. Where none can be reached, as on machines that are
# cut off from the net, a database that is made up here shows that the check finds what it should, and VULN=must makes it a failure.
set -euo pipefail
cd "$(dirname "$0")/.."
go=${GO:-go}
database=(${GOVULNDB:+-db "$GOVULNDB"})
report=$(mktemp -d)
trap 'rm -rf "$report"' EXIT

check() { # what is called, of what the database has; 3 is a finding
  local status=0
  "$go" tool govulncheck "${database[@]}" "$@" ./cmd/pushcart >"$report/out" 2>"$report/err" || status=$?
  return "$status"
}

# Asked by module first, the check needs the database and none of the program's source: where no database answers, that is known at once.
"$go" tool govulncheck "${database[@]}" -C cmd/pushcart -scan module >"$report/out" 2>"$report/err" || true
if ! grep -q "fetching vulnerabilities" "$report/err"; then
  status=0
  check || status=$?
  case $status in
    0)
      echo "no known vulnerability is reached"
      exit 0
      ;;
    3)
      cat "$report/out"
      exit 3
      ;;
  esac
  if ! grep -q "fetching vulnerabilities" "$report/err"; then
    cat "$report/out" "$report/err" >&2
    exit "$status"
  fi
fi
echo "vuln: the vulnerability database cannot be reached: $(tail -n 1 "$report/err")" >&2
if [ "${VULN:-}" = must ]; then
  exit 1
fi

# A module that the program calls, said to be vulnerable in all versions.
db=$report/db
mkdir -p "$db/ID" "$db/index"
at='"modified":"2026-01-01T00:00:00Z"'
echo "{$at}" >"$db/index/db.json"
echo "[{\"path\":\"golang.org/x/text\",\"vulns\":[{\"id\":\"GO-0000-0001\",$at}]}]" >"$db/index/modules.json"
echo "[{\"id\":\"GO-0000-0001\",$at,\"aliases\":[]}]" >"$db/index/vulns.json"
cat >"$db/ID/GO-0000-0001.json" <<EOF
{"schema_version":"1.3.1","id":"GO-0000-0001",$at,"published":"2026-01-01T00:00:00Z","summary":"made up","details":"made up",
 "affected":[{"package":{"name":"golang.org/x/text","ecosystem":"Go"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}],
 "ecosystem_specific":{"imports":[{"path":"golang.org/x/text/language","symbols":["Parse"]}]}}],
 "database_specific":{"url":"https://pkg.go.dev/vuln/GO-0000-0001"}}
EOF
status=0
check -db "file://$db" || status=$?
if [ "$status" != 3 ] || ! grep -q "GO-0000-0001" "$report/out"; then
  echo "vuln: the check does not find what it should:" >&2
  cat "$report/out" "$report/err" >&2
  exit 1
fi
echo "vuln: the check works, but what it looked for was made up. Run make vuln where https://vuln.go.dev answers." >&2
