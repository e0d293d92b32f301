# What the pictures of docs show; each is one line: `picture`, its name, its bytes.
tetra --server-address $S getevents -o compact --color always < /dev/null > /run/stream &
stream=$!
sleep 1
for command in 'id -u' 'ls /etc' 'cat /etc/hostname' 'cat /etc/shadow'; do
    /usr/bin/$command > /dev/null 2>&1
done
sleep 1
kill $stream
echo "picture stream $( { printf '\033[1m$ tetra getevents -o compact\033[0m\r\n'; grep -v /proc/self/exe /run/stream | sed 's/$/\r/'; } | base64 -w 0)"
while true; do
    for command in 'id -u' 'ls /etc' 'cat /etc/hostname' 'cat /etc/shadow'; do
        /usr/bin/$command > /dev/null 2>&1
    done
done &
load=$!
echo "picture processes $(e2e-guest screen 110 20 12 2 tetra --server-address $S top)"
echo "picture programs $(e2e-guest screen 110 20 12 4 tetra --server-address $S top)"
kill $load $daemon
