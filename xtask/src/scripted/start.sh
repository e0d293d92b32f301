# The daemon, with the policy of the demonstration.
S=unix:///var/run/tetragon/tetragon.sock
enforcer --server-address $S --tracing-policy /etc/shadow.yaml 2> /run/daemon.log &
daemon=$!
until tetra --server-address $S --retries 0 status > /dev/null 2>&1; do
    kill -0 $daemon 2> /dev/null || { cat /run/daemon.log; exit 1; }
    sleep 0.1
done
