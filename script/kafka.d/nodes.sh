# shellcheck shell=bash
# The nodes of one instance of Kafka: their ports and their processes. Sourced by script/kafka after
# lib.sh; the caller sets INSTANCE, name, nodes, port and only_node, files.sh sets JARS.
# shellcheck disable=SC2154

KAFKA_STATE=$KADR_STATE/kafka
KAFKA_D=$KADR_ROOT/script/kafka.d
# A start takes five seconds on an idle machine and minutes on one that is busy elsewhere.
START_DEADLINE_S=600
STOP_DEADLINE_S=60

# Sets `chosen`: the node that --node names, or all of them.
choose_nodes() {
  if [[ -z $only_node ]]; then
    mapfile -t chosen < <(seq "$nodes")
  elif [[ $only_node -le $nodes ]]; then
    chosen=("$only_node")
  else
    die "instance $name has $nodes node(s): there is no node $only_node"
  fi
}

node_dir() {
  echo "$INSTANCE/node-$1"
}

node_port() {
  echo $((port + 10 * ($1 - 1)))
}

port_answers() {
  (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# The first of 19192, 19292, … that no instance has and where nothing listens on the nodes' ports.
free_base() {
  local base node offset
  for base in $(seq 19192 100 29192); do
    if grep -qsE "^[13] $base\$" "$KAFKA_STATE"/*/shape; then continue; fi
    for node in $(seq 0 $(($1 - 1))); do
      for offset in 0 1 2 3; do
        if port_answers $((base + 10 * node + offset)); then continue 3; fi
      done
    done
    echo "$base"
    return
  done
  die "no free ports between 19192 and 29192: stop an instance"
}

node_runs() {
  local pid
  pid=$(cat "$(node_dir "$1")/pid" 2>/dev/null) || return 1
  # A pid may have passed to another program since; the node's own command line has not.
  tr '\0' '\n' 2>/dev/null <"/proc/$pid/cmdline" | grep -qxF "$(node_dir "$1")/server.properties"
}

spawn_node() {
  local node=$1 dir own heap=512m offset
  dir=$(node_dir "$node")
  own=$(node_port "$node")
  if [[ $nodes == 3 ]]; then heap=384m; fi
  for offset in 0 1 2 3; do
    if port_answers $((own + offset)); then
      die "port $((own + offset)) is taken: stop what listens there, or give --port"
    fi
  done
  say "kafka $name: starting node $node on 127.0.0.1:$own, log in $dir/server.log"
  rm -f "$dir/server.log"
  # Anew at every start: it holds absolute paths, and a clone may have moved.
  write_properties "$node" >"$dir/server.properties"
  # Its own session and no inherited descriptor: it outlives the caller and holds no pipe, lock or
  # terminal of it open. 255 is where bash keeps this script.
  (
    for fd in /proc/self/fd/*; do
      fd=${fd##*/}
      if ((fd > 2 && fd != 255)); then eval "exec $fd>&-"; fi
    done
    exec setsid java "-Xmx$heap" -Xms64m -XX:+ExitOnOutOfMemoryError "-Dkadr.log=$dir/server.log" \
      "-Dlog4j2.configurationFile=$KAFKA_D/log4j2.properties" -cp "$JARS/*" \
      kafka.Kafka "$dir/server.properties"
  ) </dev/null >"$dir/out.log" 2>&1 &
  echo $! >"$dir/pid"
}

# The log line comes once the broker is registered, unfenced and serving its listeners.
await_node() {
  local dir until=$((SECONDS + START_DEADLINE_S))
  dir=$(node_dir "$1")
  until grep -qs 'Kafka Server started' "$dir/server.log"; do
    # Not node_runs: the process may not have become java yet.
    kill -0 "$(cat "$dir/pid")" 2>/dev/null || die "node $1 of $name stopped while starting, see $dir/server.log and $dir/out.log"
    ((SECONDS < until)) || die "node $1 of $name did not start in $START_DEADLINE_S s, see $dir/server.log"
    sleep 0.1
  done
  port_answers "$(node_port "$1")" || die "node $1 of $name started but does not answer, see $dir/server.log"
}

signal_node() {
  if node_runs "$1"; then kill "-$2" "$(cat "$(node_dir "$1")/pid")"; fi
}

await_exit() {
  local dir offset until=$((SECONDS + STOP_DEADLINE_S))
  dir=$(node_dir "$1")
  while node_runs "$1"; do
    if ((SECONDS >= until)); then
      say "kafka $name: node $1 did not stop in $STOP_DEADLINE_S s, killing it"
      kill -KILL "$(cat "$dir/pid")"
      until=$((SECONDS + STOP_DEADLINE_S))
    fi
    sleep 0.1
  done
  # A process that is killed loses its command line before its sockets.
  for offset in 0 1 2 3; do
    while port_answers $(($(node_port "$1") + offset)) && ((SECONDS < until)); do sleep 0.1; done
  done
  rm -f "$dir/pid"
  say "kafka $name: node $1 is stopped"
}

write_bootstrap() {
  local node list=''
  for node in $(seq "$nodes"); do list+=${list:+,}127.0.0.1:$(node_port "$node"); done
  echo "$list" >"$INSTANCE/bootstrap"
  if [[ $name == main ]]; then cp "$INSTANCE/bootstrap" "$KAFKA_STATE/bootstrap"; fi
}

# Kafka's own commands, by the names they have in its distribution.
run_tool() {
  local class
  case ${1:-} in
  kafka-topics) class=org.apache.kafka.tools.TopicCommand ;;
  kafka-configs) class=kafka.admin.ConfigCommand ;;
  kafka-consumer-groups) class=org.apache.kafka.tools.consumer.group.ConsumerGroupCommand ;;
  kafka-console-consumer) class=org.apache.kafka.tools.consumer.ConsoleConsumer ;;
  kafka-console-producer) class=org.apache.kafka.tools.ConsoleProducer ;;
  kafka-delete-records) class=org.apache.kafka.tools.DeleteRecordsCommand ;;
  kafka-groups) class=org.apache.kafka.tools.GroupsCommand ;;
  kafka-broker-api-versions) class=org.apache.kafka.tools.BrokerApiVersionsCommand ;;
  kafka-cluster) class=org.apache.kafka.tools.ClusterTool ;;
  kafka-get-offsets) class=org.apache.kafka.tools.GetOffsetShell ;;
  kafka-producer-perf-test) class=org.apache.kafka.tools.ProducerPerformance ;;
  kafka-consumer-perf-test) class=org.apache.kafka.tools.ConsumerPerformance ;;
  kafka-metadata-quorum) class=org.apache.kafka.tools.MetadataQuorumCommand ;;
  *) die "no such tool: '${1:-}'; see script/kafka.d/nodes.sh" ;;
  esac
  shift
  # A log of its own where no instance is meant.
  local log=$KAFKA_STATE/tool.log
  [[ ! -d $INSTANCE ]] || log=$INSTANCE/tool.log
  # Quick to start matters more than quick to run.
  exec java -Xmx256m -XX:TieredStopAtLevel=1 -Xshare:auto "-Dkadr.log=$log" \
    "-Dlog4j2.configurationFile=$KAFKA_D/log4j2.properties" -cp "$JARS/*" "$class" "$@"
}
