# What the demonstration does in the virtual machine.
S=unix:///var/run/tetragon/tetragon.sock
enforcer --server-address $S --tracing-policy /etc/shadow.yaml 2> /run/daemon.log &
daemon=$!
until tetra --server-address $S --retries 0 status > /dev/null 2>&1; do
    kill -0 $daemon 2> /dev/null || { cat /run/daemon.log; exit 1; }
    sleep 0.1
done
tetra --server-address $S getevents -o compact --color "$1" < /dev/null &
sleep 1
echo '$ cat /etc/hostname'
/usr/bin/cat /etc/hostname
echo '$ cat /etc/shadow'
/usr/bin/cat /etc/shadow
code=$?
sleep 2
echo "exit code of cat: $code (128 + 9 is SIGKILL)"
[ $code -eq 137 ]
