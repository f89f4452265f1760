-- A line for each key: database, key in hexadecimal digits, type, when it expires, a string's SHA-1, a stream's groups.
-- Beside DEBUG DIGEST, which covers all values but no times and no groups.
local function hex(text)
  return (text:gsub('.', function(c) return string.format('%02x', c:byte()) end))
end

local lines = {}
for database = 0, 15 do
  redis.call('SELECT', database)
  local keys, cursor = {}, '0'
  repeat
    local page = redis.call('SCAN', cursor, 'COUNT', 1000)
    cursor = page[1]
    for _, key in ipairs(page[2]) do table.insert(keys, key) end
  until cursor == '0'
  table.sort(keys)
  for _, key in ipairs(keys) do
    local kind = redis.call('TYPE', key).ok
    local more = ''
    if kind == 'string' then more = redis.sha1hex(redis.call('GET', key)) end
    if kind == 'stream' then
      for _, group in ipairs(redis.call('XINFO', 'GROUPS', key)) do
        for _, word in ipairs(group) do more = more .. ' ' .. tostring(word) end
      end
    end
    table.insert(lines, table.concat({database, hex(key), kind, tostring(redis.call('PEXPIRETIME', key)), more}, '\t'))
  end
end
return table.concat(lines, '\n')
