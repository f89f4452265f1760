-- What bites, in several databases: every type, bytes that are no text, expiry, an empty string, what looks like options.
local function put(database, ...)
  redis.call('SELECT', database)
  redis.call(...)
end

local every_byte = {}
for byte = 0, 255 do every_byte[byte + 1] = string.char(byte) end
local bytes = table.concat(every_byte)

put(0, 'SET', 'text', 'gr\195\188\195\159e \228\184\150\240\159\152\128')
put(0, 'SET', bytes, bytes)
put(0, 'SET', '', '')
put(0, 'SET', '--help', '-n 9')
put(0, 'SET', '$(id) `id` {x}\r\n*1\r\n$8\r\nFLUSHALL\r\n', 'quote\'"\\')
put(0, 'SET', 'number', '12345678901234')
put(0, 'SETRANGE', 'sparse', 1000000, 'x')
put(0, 'SET', 'expires', 'later', 'PXAT', 4102444800123)
put(0, 'SETBIT', 'bits', 12345, 1)
put(0, 'PFADD', 'loglog', 'a', 'b', 'c')

put(1, 'RPUSH', 'list', 'a', '', bytes, 'a', string.rep('long', 5000))
put(1, 'SADD', 'integers', 1, 2, 3, -9223372036854775808)
put(1, 'SADD', 'set', 'a', '', bytes)
put(1, 'HSET', 'hash', 'field', 'value', '', '', bytes, bytes)
put(1, 'ZADD', 'sorted', '-inf', 'lowest', 1.5, 'a', 1.5, 'b', '+inf', bytes)
put(1, 'GEOADD', 'places', 13.361389, 38.115556, 'Palermo', -122.27652, 37.805186, 'Station')
for number = 1, 600 do
  put(1, 'HSET', 'large hash', 'field ' .. number, string.rep('v', number))
  put(1, 'ZADD', 'large sorted', number / 7, 'member ' .. number)
end

put(9, 'XADD', 'stream', '1-1', 'field', bytes)
put(9, 'XADD', 'stream', '2-0', 'a', '1', 'b', '2')
put(9, 'XADD', 'stream', '3-0', 'gone', 'soon')
put(9, 'XDEL', 'stream', '3-0')
put(9, 'XGROUP', 'CREATE', 'stream', 'readers', '0')
put(9, 'XREADGROUP', 'GROUP', 'readers', 'one', 'COUNT', '1', 'STREAMS', 'stream', '>')
put(9, 'PEXPIREAT', 'stream', 4102444800456)

for number = 1, 5000 do put(15, 'SET', 'many:' .. number, string.rep(tostring(number), 20)) end
return redis.status_reply('filled')
