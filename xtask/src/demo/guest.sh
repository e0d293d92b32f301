# What the demonstration does in the virtual machine.
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
