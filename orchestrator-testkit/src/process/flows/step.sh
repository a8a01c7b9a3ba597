# One step of a workflow that is watched: `sh step.sh SAYS [SECONDS]`.
# It writes its beginning and its end into the ledger, each with one append, and says SAYS.
who="$ORCHESTRATOR_RUN $ORCHESTRATOR_TASK $ORCHESTRATOR_ATTEMPT"
echo "start $who" >> ledger
# While the file is there, no step ends soon: what is left alive then shows.
if [ -e hang ]; then sleep 60; fi
sleep "${2:-0.005}"
echo "end $who" >> ledger
echo "$1"
