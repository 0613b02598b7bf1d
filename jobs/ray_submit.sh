#!/usr/bin/env bash
# A study as a job of a Ray cluster that runs already:    jobs/ray_submit.sh table=9 study=mine
# RAY_AUTH_TOKEN_PATH names the file with the cluster's token, LSTM_SEARCH_ADDRESS its dashboard (by default a tunnel's
# end on this machine: ssh -N -L 8265:127.0.0.1:8265 HEAD). The job runs `lstm-search run` with the same words.
set -euo pipefail
: "${RAY_AUTH_TOKEN_PATH:?name the file with the token of the cluster}"
export RAY_AUTH_MODE=token
exec lstm-search submit "submit.address=${LSTM_SEARCH_ADDRESS:-http://127.0.0.1:8265}" "$@"
