# shellcheck shell=bash
# What an instance of Kafka needs on disk before it can run: jars, certificates, configuration and
# formatted storage. Sourced by script/kafka after lib.sh and nodes.sh; the caller sets INSTANCE,
# name, nodes and port.
# shellcheck disable=SC2154

TLS=$KAFKA_STATE/tls
# The folder's name carries the pom, so that a changed pom is a new folder and never a mix.
JARS=$KADR_CACHE/kafka-$(sed -n 's:.*<kafka.version>\(.*\)</kafka.version>.*:\1:p' "$KAFKA_D/pom.xml")-$(
  sha256sum "$KAFKA_D/pom.xml" | cut -c 1-8
)

require_jars() {
  has java || die "java is missing: run script/setup --tests"
  [[ ! -d $JARS ]] || return 0
  has mvn || die "mvn is missing: run script/setup --tests"
  say "kafka: fetching ${JARS##*/} with Maven into $JARS"
  local fresh
  mkdir -p "$KADR_CACHE"
  fresh=$(mktemp -d "$JARS.XXXXXX")
  mvn --batch-mode --quiet --strict-checksums --file "$KAFKA_D/pom.xml" \
    dependency:copy-dependencies -DoutputDirectory="$fresh" </dev/null >"$fresh.log" 2>&1 || {
    rm -rf "$fresh"
    die "Maven could not fetch Kafka's jars, see $fresh.log"
  }
  rm -f "$fresh.log"
  # Whoever is first wins; a second clone's copy is dropped.
  mv -T "$fresh" "$JARS" 2>/dev/null || rm -rf "$fresh"
}

# A certificate authority and a server certificate for the loopback, both of this clone alone.
require_tls() {
  (
    flock 8
    [[ ! -f $TLS/password ]] || exit 0
    has openssl || die "openssl is missing: run script/setup --tests"
    say "kafka: making a certificate authority in $TLS"
    rm -rf "$TLS"
    umask 077
    mkdir -p "$TLS"
    cd "$TLS"
    {
      openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 \
        -subj '/CN=Kadr local certificate authority' -keyout ca.key -out ca.pem
      openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
        -subj '/CN=localhost' -keyout server.key -out server.csr
      printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n' >server.ext
      openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 3650 \
        -extfile server.ext -out server.crt
    } >openssl.log 2>&1 || die "openssl could not make the certificates, see $TLS/openssl.log"
    cat server.key server.crt ca.pem >server.pem
    rm -f server.key server.csr server.ext server.crt ca.srl openssl.log
    # Written last: its presence says that the folder is whole.
    openssl rand -hex 16 >password
  ) 8>"$KAFKA_STATE/.tls.lock"
}

# Retention looks twice a second, not every five minutes, so that tests and demonstrations see it at
# work.
write_properties() {
  local node=$1 own copies=1 in_sync=1 voters='' other
  own=$(node_port "$node")
  if [[ $nodes == 3 ]]; then copies=3 in_sync=2; fi
  for other in $(seq "$nodes"); do
    voters+=${voters:+,}$other@127.0.0.1:$(($(node_port "$other") + 3))
  done
  cat <<END
process.roles=broker,controller
node.id=$node
controller.quorum.voters=$voters
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:$own,SSL://127.0.0.1:$((own + 1)),SASL_SSL://127.0.0.1:$((own + 2)),CONTROLLER://127.0.0.1:$((own + 3))
advertised.listeners=PLAINTEXT://127.0.0.1:$own,SSL://127.0.0.1:$((own + 1)),SASL_SSL://127.0.0.1:$((own + 2))
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
ssl.keystore.type=PEM
ssl.keystore.location=$TLS/server.pem
sasl.enabled.mechanisms=SCRAM-SHA-256
listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
log.dirs=$(node_dir "$node")/data
auto.create.topics.enable=false
default.replication.factor=$copies
min.insync.replicas=$in_sync
offsets.topic.num.partitions=8
offsets.topic.replication.factor=$copies
transaction.state.log.num.partitions=8
transaction.state.log.replication.factor=$copies
transaction.state.log.min.isr=$in_sync
share.coordinator.state.topic.replication.factor=$copies
share.coordinator.state.topic.min.isr=$in_sync
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=8388608
log.initial.task.delay.ms=500
log.retention.check.interval.ms=500
END
}

# Storage of a new instance, with the SCRAM user in it. The file "formatted" says that it is whole.
# The tool takes the password as an argument only; the listener next to it needs none, so nobody
# who can read the argument gains anything.
format_storage() {
  local node cluster
  [[ ! -f $INSTANCE/formatted ]] || return 0
  say "kafka $name: formatting the storage of $nodes node(s)"
  cluster=$(openssl rand -base64 15 | tr '+/' 'ab')AA
  for node in $(seq "$nodes"); do
    rm -rf "$(node_dir "$node")"
    mkdir -p "$(node_dir "$node")/data"
    write_properties "$node" >"$(node_dir "$node")/server.properties"
    java -XX:TieredStopAtLevel=1 -Xmx128m -cp "$JARS/*" kafka.tools.StorageTool format \
      --cluster-id "$cluster" --config "$(node_dir "$node")/server.properties" \
      --add-scram "SCRAM-SHA-256=[name=kadr,password=$(cat "$TLS/password")]" \
      </dev/null >"$INSTANCE/format.log" 2>&1 || die "could not format the storage, see $INSTANCE/format.log"
  done
  touch "$INSTANCE/formatted"
}
